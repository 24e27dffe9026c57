/** The worker of a tab that can be frozen. What stops it listens before the database does. */
import "./standing-still.ts";
import "tidemark/worker";
