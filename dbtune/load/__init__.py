"""HTTP load at a set rate: an open model, in which a slow answer delays no other request.

``schedule`` says when and ``route`` what is asked, ``hammer`` asks, ``outcome`` says what came of it, ``record`` keeps
it, ``summary`` and ``timeline`` tell.
"""

PASSWORD_VARIABLE = "DBTUNE_HAMMER_PASSWORD"
"""The password of basic authentication is read from here, also by the plans that are written for other tools."""
