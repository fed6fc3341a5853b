"""What mail programs look for when somebody types an address: where its mail is read and sent, and how."""
