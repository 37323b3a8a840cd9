"""What the declarations of Morningstar's TriStar MPPT family share."""
