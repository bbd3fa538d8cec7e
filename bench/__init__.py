"""How fast orders get to the door, and how fast they are taken: our pipeline beside the same job done in other ways."""
