# Tries to get out of the sandbox, and says in a line what came of each attempt and what there is to be seen. It is given
# HOST_ADDRESSES (separated by commas), HOST_PORT, HOST_NAME (an abstract socket), HOST_FILE, OTHER_ADDRESS and OTHER_PORT.

# attempt NAME COMMAND...
attempt() {
    local name=$1 said code=0
    shift
    said=$(timeout -k 1 20 "$@" 2>&1 < /dev/null) || code=$?
    said=${said//$'\n'/; }
    if [ "$code" -eq 0 ]; then echo "attempt $name: WORKED: $said"; else echo "attempt $name: refused ($code): $said"; fi
}

# sees NAME: what comes over its input, in one line
sees() { echo "sees $1: $(tr '\n' ' ')"; }

tcp() { attempt "$1" bash -c 'exec 3<> "/dev/tcp/$0/$1"' "$2" "$3"; }

number=0
IFS=, read -r -a addresses <<< "$HOST_ADDRESSES"
for address in "${addresses[@]}"; do
    number=$((number + 1))
    tcp "host-tcp-$number" "$address" "$HOST_PORT"
    attempt "host-udp-$number" bash -c 'echo x > "/dev/udp/$0/$1"' "$address" "$HOST_PORT"
done
tcp outside 198.51.100.1 443
tcp outside-ipv6 2001:db8::1 443
tcp metadata-service 169.254.169.254 80
attempt outside-udp bash -c 'echo x > /dev/udp/198.51.100.1/53'
attempt name-service getent hosts host.example.org
[ -z "$OTHER_ADDRESS" ] || tcp other-container "$OTHER_ADDRESS" "$OTHER_PORT"
attempt host-abstract-socket socat -u OPEN:/dev/null "ABSTRACT-CONNECT:$HOST_NAME"
attempt raw-socket perl -MSocket -e 'socket(S, PF_INET, SOCK_RAW, 1) or die "$!\n"'
attempt packet-socket perl -e 'socket(S, 17, 3, 768) or die "$!\n"'
for socket in /var/run/docker.sock /run/containerd/containerd.sock /run/docker/containerd/containerd.sock \
    /run/podman/podman.sock /run/dbus/system_bus_socket; do
    attempt "socket-$socket" socat -u OPEN:/dev/null "UNIX-CONNECT:$socket"
done

attempt read-file-of-host cat "$HOST_FILE"
attempt read-file-by-process-1 cat "/proc/1/root$HOST_FILE"
attempt read-memory-of-kernel bash -c 'head -c 1 /proc/kcore | grep -q .'
attempt read-log-of-kernel dmesg
attempt read-shadow cat /etc/shadow
attempt write-sysrq bash -c 'echo h > /proc/sysrq-trigger'
attempt write-core-pattern bash -c 'echo "|/tmp/x" > /proc/sys/kernel/core_pattern'
attempt write-forwarding bash -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
attempt write-limits bash -c 'find /sys -writable -type f 2> /dev/null | grep .'
attempt write-passwd bash -c 'echo "evil::0:0::/:/bin/sh" >> /etc/passwd'
attempt write-etc bash -c 'echo x > /etc/evil'
attempt write-programs bash -c 'echo x > /usr/bin/evil'
attempt write-anywhere-on-root bash -c 'find / -xdev -writable ! -type l -printf "%D %p\n" 2> /dev/null | grep "^$(stat -c %d /) "'
attempt remove-socket rm -f /run/pyrsia.sock
attempt make-device mknod /tmp/disk b 8 0
attempt mount mount -t tmpfs none /tmp
attempt mount-of-host mount --bind / /tmp
attempt new-namespaces unshare -Ur true
attempt namespace-of-process-1 nsenter -t 1 -m -n true
attempt change-root /usr/sbin/chroot /tmp true
attempt give-file-to-root bash -c 'echo x > /tmp/own && chown 0 /tmp/own'
attempt become-root su -c true
attempt set-clock date -s 2000-01-01

# The only way out answers for files, and only when it is asked for one.
far_end() {
    local line=
    exec 3<> /dev/tcp/127.0.0.1/8081
    printf '%s %s HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n' "$1" "$2" >&3
    IFS= read -r -t 20 line <&3
    exec 3>&-
    echo "far end $1 $2: ${line%$'\r'}"
}
far_end GET /../../../../etc/passwd
far_end GET /..%2f..%2f..%2fetc%2fpasswd
far_end PUT /org/example/tiny/1.0/tiny-1.0.jar
far_end DELETE /org/example/tiny/1.0/tiny-1.0.jar
far_end POST /containers/create
far_end CONNECT 198.51.100.1:443

sed -n 's/^ *\([^: ]*\):.*/\1/p' /proc/net/dev | sees interfaces
sed 1d /proc/net/route | sees routes
sed -n 's/^Cap[A-Za-z]*:[[:space:]]*//p' /proc/self/status | sort -u | sees capabilities
sed -n 's/^\(NoNewPrivs\|Seccomp\):[[:space:]]*/\1=/p' /proc/self/status | sees restrictions
id | sees account
find / -path /proc -prune -o -path /sys -prune -o -type s -print 2> /dev/null | sees sockets
find / -path /proc -prune -o -path /sys -prune -o -type b -print 2> /dev/null | sees disks
ls /dev | sees devices
cat /proc/[0-9]*/comm 2> /dev/null | sort -u | sees processes
tr '\0' '\n' < /proc/1/environ | sed 's/=.*//' | sees environment
while read -r _ _ _ _ place options _; do echo "mount $place $options"; done < /proc/self/mountinfo
