"""How fast orders are taken over HTTP, and how long they take to the door, alone and while many watch."""
