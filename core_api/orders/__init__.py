"""Orders: who may do what, their life, and the one way in which a command changes them."""
