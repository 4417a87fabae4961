"""One run of pyinfra: what it shows, what it was asked for, what is private of pyinfra in it."""
