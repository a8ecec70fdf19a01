"""The referee: attacks on every mechanism, and the lower bounds on epsilon they prove.

    claims    what is claimed; Gaussian DP as a type of its own
    bounds    lower confidence bounds on epsilon, from scores and from guesses
    attack    an attack, and the line of the audit that it yields
    brief     what makes a hundred thousand releases affordable, and what is left out for it
    single    Gaussian noise, a noisy choice, randomised response
    tables    Independent, MST, AIM, Mezzotint: every release, or synthetic rows only
    roles     what each role of an encrypted job sees (needs tenseal)
    images    the one-shot releases of image methods: every sum (needs torch)
    answers   the Lipschitz VAE: an image's noisy code and label (needs torch)
    training  DP-SGD, error feedback, a whole training (needs torch)
    suite     all attacks by name
    page      the audit as one self-contained page

Data sets here are made up: no private row comes near the referee.
"""
