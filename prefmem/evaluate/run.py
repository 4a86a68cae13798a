"""`prefmem evaluate`: one command for each table."""

import typer

from prefmem.evaluate.agent.command import agent
from prefmem.evaluate.benchmarks.command import benchmark
from prefmem.evaluate.commands import every, living, models, reading, running, simulators, using
from prefmem.evaluate.peers.command import peers
from prefmem.evaluate.personas.command import personas
from prefmem.evaluate.publish import ManyValues
from prefmem.evaluate.simulate.command import user_model

app = typer.Typer(help="Measure the product as shipped, a table at a time.", no_args_is_help=True)

app.command()(reading.extraction)
app.command()(using.retrieval)
app.command()(using.recall)
app.command()(using.over_personalisation)
app.command()(using.relations)
app.command()(using.evolution)
app.command()(reading.followups)
app.command(cls=ManyValues)(reading.edits)
app.command()(using.elicitation)
app.command("user-model", cls=ManyValues)(user_model)
app.command()(living.talk)
app.command()(models.rendering)
app.command()(models.smollm2)
app.command()(agent)
app.command(cls=ManyValues)(personas)
app.command(cls=ManyValues)(peers)
app.command()(benchmark)
app.command()(simulators.collaboration)
app.command()(simulators.mirror)
app.command(cls=ManyValues)(running.performance)
app.command(cls=ManyValues)(running.faults)
app.command("all", cls=ManyValues)(every.every)
