"""The image of the servers, and what an installation by compose needs beside it."""
