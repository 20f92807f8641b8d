"""What a program for a microcontroller imports: on the path of a program that runs here instead."""
