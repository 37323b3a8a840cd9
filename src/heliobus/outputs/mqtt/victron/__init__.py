"""The topics of a GX, `N/R/W/<portal>/…`, for sites that have none: tools made for a GX find the same things here."""
