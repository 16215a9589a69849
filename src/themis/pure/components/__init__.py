"""The builtin components: what ships for each kind of part that an experiment is made of.

A component is a frozen record of its options, its id and its version; `registry` finds it by the id. What components
are made of stands beside them: `text` reads answers, `judging` asks judges, `programs_*` is source that runs in a
sandbox. All of it is pure: a metric that needs a judge or a sandbox returns what it wants asked or run. What a
component does may change only with its version. Nothing here knows of runs or stores.
"""
