"""What is known before an upgrade: what it would do, what it would meet and wait for, what it would take.

    offline      what pending revisions send          work        what that does to indexes
    server       version, standby, pooler, rights     subject     the table, and what bears the index's name
    blocker      who is waited for                    slot        replication slots
    cost         sizes and times of a build           disk        where it writes, and how much room there is
    finding      what was found, and the verdict      judgement, obstacle    what makes findings
    words        how messages say it                  plan        all of it

What asks a server or the operating system is in offline, server, subject, blocker, slot, disk and plan; the rest is
decided from values.
"""
