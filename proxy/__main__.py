"""`python -m proxy`: run one data-plane worker."""

from proxy.app import main

main()
