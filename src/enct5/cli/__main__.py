"""`python -m enct5.cli`, which `torchrun -m` needs."""

from enct5.cli import main

main()
