"""What happened and when: spans of executed nodes, and their export as a timeline."""
