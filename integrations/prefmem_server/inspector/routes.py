"""What the inspector's page reads that the REST service does not offer yet."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from prefmem_server.auth import Scope
from prefmem_server.caller import SCHEMES, Known, Reads, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.inspector.plots import PlotsOut, plots_of

router = APIRouter(
    prefix="/inspect/api", tags=["inspector"], route_class=GuardedRoute, dependencies=SCHEMES,
    responses=refusals(),
)  # fmt: skip


class WhoOut(BaseModel):
    """What the caller's key opens."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Name of the key.")
    tenant: str
    user_id: str | None = Field(description="The one user that it may act for, if it is bound.")
    scopes: list[Scope]


@router.get("/who", operation_id="inspect_who")
def who(known: Known) -> WhoOut:
    """Say what the caller's key opens."""
    return WhoOut(
        name=known.name, tenant=known.tenant, user_id=known.user_id, scopes=sorted(known.scopes)
    )


@router.get("/plots", operation_id="inspect_plots")
def plots(caller: Reads) -> PlotsOut:
    """Give the figures of the user's plots."""
    return plots_of(caller.memory, caller.user_id)
