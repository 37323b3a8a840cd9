"""Where readings go: Venus OS today; each output is a package or a file of its own."""
