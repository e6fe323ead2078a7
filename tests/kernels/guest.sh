# What boot.py runs inside a guest, as root: sh guest.sh DIRECTORY
# DIRECTORY is shared with the host; its `command` is run, and its status put into `status`.
set -e
share=$1
ports=/dev/virtio-ports

if [ ! -e $ports/virtme.stdout ]; then
    # No udev here to name the ports, so virtme-ng has left us on the serial console.
    mkdir -p $ports
    for port in /sys/class/virtio-ports/*; do
        ln -s "../${port##*/}" "$ports/$(cat "$port/name")"
    done
    # A port can be opened once only: these are for commands that open /dev/stdout themselves.
    ln -sf $ports/virtme.dev_stdout /dev/stdout
    ln -sf $ports/virtme.dev_stderr /dev/stderr
    exec >$ports/virtme.stdout 2>$ports/virtme.stderr
fi

mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf

status=0
sh "$share/command" </dev/null || status=$?
echo $status >"$share/status"
