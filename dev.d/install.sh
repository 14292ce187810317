# shellcheck shell=sh disable=SC2154
# What the build, the builder image and the tests need, installed where it is missing (Debian, Ubuntu).

have() { command -v "$1" > /dev/null 2>&1; }
want() { packages="$packages $1"; }

missing_packages() {
    packages=
    have curl || want curl
    [ -e /etc/ssl/certs/ca-certificates.crt ] || want ca-certificates
    have git || want git
    { have cc && have make; } || want build-essential
    have pkg-config || want pkg-config
    have cmake || want cmake
    { have pkg-config && pkg-config --exists openssl; } || want libssl-dev
    have javac || want "$(jdk_package)"
    have mvn || want maven
    have gradle || want gradle
    have mmdebstrap || want mmdebstrap
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || want debian-archive-keyring
    have shellcheck || want shellcheck
    have ss || want iproute2
    python3 -c 'import ensurepip, venv' 2> /dev/null || want python3-venv
    engine_answers || have dockerd || want docker.io
    # One more client of the tests.
    if [ "${command:-}" = test ]; then
        have lein || want leiningen
    fi
    # What the benchmarks ask with, and whom they compare with.
    if [ "${command:-}" = bench ]; then
        have nginx || want nginx-light
        have wrk || want wrk
        have ab || want apache2-utils
    fi
    # Without root: mmdebstrap works in a user namespace, and the engine's socket is opened to this user alone.
    [ "$(id -u)" -eq 0 ] || { have newuidmap || want uidmap; have setfacl || want acl; }
}

# Maven and the samples need any JDK from 17 on; newer releases of Debian no longer have 17.
jdk_package() {
    if have apt-cache && apt-cache show openjdk-17-jdk-headless > /dev/null 2>&1; then
        echo openjdk-17-jdk-headless
    else
        echo default-jdk-headless
    fi
}

# Inside the checkout rustup's cargo is the pinned one; a distribution's own may be too old to read the workspace.
rust_is_good() {
    have cargo || return 1
    minor=$(cargo --version 2> /dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$(sed -n 's/^channel = "1\.\([0-9]*\)\..*/\1/p' rust-toolchain.toml)" ]
}

install_missing() {
    missing_packages
    rust=false
    rust_is_good || rust=true
    [ -n "$packages" ] || [ $rust = true ] || return 0
    have apt-get || die "missing:$packages$([ $rust = true ] && echo ' rust'). Only Debian and Ubuntu are known here:
install these with your system's package manager, then run ./dev again."
    say "missing:$packages$([ $rust = true ] && echo ' rust (rustup)')"
    if [ $yes = false ] && [ -t 0 ] && [ -t 1 ]; then
        printf 'Install now? [Y/n] '
        read -r answer
        case $answer in
            '' | y | Y | yes) ;;
            *) die "nothing was installed" ;;
        esac
    fi
    step "installing" install_now
}

install_now() {
    log=$work/install.log
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update > "$log" 2>&1 ||
        note "apt-get update failed; going on with the package lists that are here ($log)"
    if [ -n "$packages" ]; then
        # shellcheck disable=SC2086
        if ! as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends $packages >> "$log" 2>&1; then
            tail -n 5 "$log" >&2
            for package in $packages; do
                as_root env DEBIAN_FRONTEND=noninteractive \
                    apt-get install -y --no-install-recommends "$package" >> "$log" 2>&1 ||
                    say "could not be installed: $package (see $log)" >&2
            done
        fi
    fi
    [ $rust = false ] || install_rust
    missing_packages
    [ -z "$packages" ] || die "still missing:$packages. Install these, then run ./dev again (log: $log)."
}

install_rust() {
    # Newer releases package rustup; on the others it comes from its own installer.
    have rustup ||
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rustup >> "$log" 2>&1 || true
    have rustup ||
        { curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs 2>> "$log" |
            sh -s -- -y --profile minimal --default-toolchain none --no-modify-path >> "$log" 2>&1; } || true
    have rustup || die "could not be installed: Rust. Install rustup (https://rustup.rs), then run ./dev again (log: $log)."
    rustup show >> "$log" 2>&1 || true
    rust_is_good || die "rustup is here, but it could not get the toolchain that rust-toolchain.toml names (log: $log)."
}
