"""Engines: who has workers for a run that several processes, on one host or many, work on together.

from themis import Experiment
from themis.engines import Processes

experiment.run(store="postgresql://db/evals", engine=Processes(workers=4))
"""

from themis.api.experiment.many.dask_engine import Dask
from themis.api.experiment.many.engines import Processes, WorkEngine, WorkFailedError
from themis.api.experiment.many.ray_engine import Ray
from themis.api.experiment.many.work import Task, Worked, work_on

__all__ = ["Dask", "Processes", "Ray", "Task", "WorkEngine", "WorkFailedError", "Worked", "work_on"]
