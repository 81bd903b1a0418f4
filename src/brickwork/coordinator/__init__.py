"""Live driver of one workflow set: feeds control with what happens and carries out what it orders."""
