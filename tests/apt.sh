# For scripts to source: Debian packages that are missing.

# install_packages WHAT PACKAGE...: installs them; a line that names WHAT they are for, and 1, where that fails.
install_packages() {
    local what=$1 package root=()
    shift
    [ $# -eq 0 ] && return 0
    if ! command -v apt-get >/dev/null; then
        echo "missing for $what: $* (no apt here to install them)" >&2
        return 1
    fi
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq >&2
    # One by one: asked for all at once, the resolver gives up where an older package of the system is in the way of one.
    for package in "$@"; do
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2 ||
            { echo "missing for $what, and apt could not install it: $package" >&2; return 1; }
    done
}
