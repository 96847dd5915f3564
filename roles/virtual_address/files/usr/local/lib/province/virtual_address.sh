#!/bin/sh
# Tells the rest of this host whether it carries a group of shared addresses, and keepalived whether
# this host can serve there.
#
#     virtual_address.sh notify GROUP <name> <STATE> ...   keepalived calls it so at a change
#     virtual_address.sh able <group>                      fails while this host cannot serve there
#     virtual_address.sh release                           takes leftover addresses away
#     virtual_address.sh stopped                           the same, and everybody steps back
#
# What follows a group is an executable in /etc/province/virtual_address/<group>.d/. It is told
# `master` or `backup`, may be told twice, and has 20 seconds. The last word that was passed on is in
# /run/province/virtual_address/<group>.
#
# What a group is worth nothing without is a unit that a file in
# /etc/province/virtual_address/<group>.units/ names, one on a line.
#
# Rule 1: keepalived starts a notification without waiting for the one before. Whoever gets the lock
# looks at the addresses themselves, and acts only when they still say what it was started for: a
# change that came later has a notification of its own behind it.
# Rule 2: followers are told in the order of their names, and none can hold up the others.
#
# A shell and no Python: this stands between a dead host and a live one, and starts in a fiftieth of
# the time.
set -eu

SETTINGS=/etc/province/virtual_address
STATES=/run/province/virtual_address
SECONDS_EACH=20

faults=0

# Interface and address, with its length, of each of the group's addresses that is here now.
held() {
    ip -oneline address show | awk '
        NR == FNR { wanted[$1, $2]; next }
        { sub(/@.*/, "", $2); split($4, address, "/") }
        ($2, address[1]) in wanted { print $2, $4 }
    ' "$SETTINGS/$1.addresses" -
}

group_names() {
    for file in "$SETTINGS"/*.addresses; do
        basename "$file" .addresses
    done
}

# Left by a crash: the twin has them, and where two answer nobody is reached.
release() {
    for group in $(group_names); do
        held "$group" | while read -r interface address; do
            ip address delete "$address" dev "$interface"
        done
    done
}

tell() {
    timeout "$SECONDS_EACH" "$@" </dev/null 9>&- && return
    echo "$*: exited $?; see above why, and run it again by hand" >&2
    faults=1
}

# The word comes first, so that a daemon that starts late finds it.
pass_on() {
    echo "$2" >"$STATES/.$1.new"
    mv "$STATES/.$1.new" "$STATES/$1"
    for follower in "$SETTINGS/$1.d"/*; do
        [ ! -x "$follower" ] || tell "$follower" "$2"
    done
}

notify() {
    case $2 in
    MASTER) word=master ;;
    *) word=backup ;;
    esac
    # keepalived moves all addresses of a group at once: one of them speaks for all.
    if [ -n "$(held "$1")" ]; then present=master; else present=backup; fi
    [ "$word" != "$present" ] || pass_on "$1" "$word"
}

# One call for each: asked for several at once, one that runs would speak for all.
able() {
    for units in "$SETTINGS/$1.units"/*; do
        [ -e "$units" ] || continue
        while read -r unit; do
            case $unit in '' | '#'*) continue ;; esac
            systemctl is-active --quiet "$unit" && continue
            echo "$1: $unit does not run here, and the twin is asked to serve; see why: systemctl" \
                "status $unit" >&2
            return 1
        done <"$units"
    done
}

lock() {
    exec 9>"$STATES/.$1.lock"
    flock 9
}

mkdir -p "$STATES"
case ${1-} in
notify)
    lock "$3"
    notify "$3" "$4"
    ;;
able)
    able "$2" || exit 1
    ;;
release)
    release
    ;;
stopped)
    release
    for group in $(group_names); do
        lock "$group"
        pass_on "$group" backup
    done
    ;;
*)
    echo "virtual_address.sh: cannot do '$*'; its first lines say what it can" >&2
    exit 2
    ;;
esac
exit "$faults"
