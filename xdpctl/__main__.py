from xdpctl.cli.main import main

main()
