from xdpctl.cli.main import run

run()
