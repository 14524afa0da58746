"""Staged studies: many configurations screened on development seeds, the best of them confirmed as claims.

``reading``      YAML, strictly
``merging``      settings: deep merges, bases, grids
``checking``     what is checked of every part of a matrix
``loading``      from the file ``matrix.yaml`` to a matrix
``matrix``       a staged study: its configurations, controls and two stages
``subjects``     what is trained and scored: a recipe, and an intervention
``objects``      tasks, models and functions by the names that a matrix gives them
``scoring``      the default score, how a score is called, and the validation and test examples it is called with
``screening``    stage A: training, scores on validation examples
``promotion``    the rule by which configurations go on, and the file that says which did
``staged``       stage B: ``@staged("matrix.yaml")`` makes the claims
``artefacts``    a folder of files for every run
``screened``     stage A as a table
``listing``      a study in the terminal
``results``      what both stages found, as tables
``report``       ``report.md``
``command``      ``memkit study``

A study is data and a command, not a second engine: its claims are registered, trained, measured and judged as others.
"""
