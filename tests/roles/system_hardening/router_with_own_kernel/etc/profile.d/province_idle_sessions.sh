#
# province, role system_hardening: a change made here by hand stops the next run
#
# Counts only while a shell waits for its person; a running command is never idle. A second reading
# of the profile must not fail on what is fixed already.
case "$(readonly -p)" in
*TMOUT*) ;;
*)
    TMOUT=300
    readonly TMOUT
    export TMOUT
    ;;
esac
