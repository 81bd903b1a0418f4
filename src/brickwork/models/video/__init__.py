"""What the video families share."""
