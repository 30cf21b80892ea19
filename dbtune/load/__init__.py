"""HTTP load at a set rate: an open model, in which a slow answer delays no other request.

``schedule`` says when and ``route`` what is asked, ``hammer`` asks, ``outcome`` says what came of it, ``record`` keeps
it, ``summary`` and ``timeline`` tell.
"""
