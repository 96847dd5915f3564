#
# province, role system_hardening: a change made here by hand stops the next run
#
umask 027
