"""The image of the servers, and the files for an installation with Docker Compose."""
