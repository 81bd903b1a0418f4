"""The HTTP application: routes, errors and the border, put together."""

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI

from brickwork.server import images_api, jobs_api, system_api
from brickwork.server.border import Border
from brickwork.server.errors import install
from brickwork.server.service import Service
from brickwork.server.tenants import Keys, TenantSettings


def build_app(service: Service, max_body_bytes: int, tenants: Sequence[TenantSettings] = ()) -> FastAPI:
    """The application around a service. It needs no further state.

    tenants    who may use it; none: everybody
    """
    app = FastAPI(
        title="brickwork",
        version=version("brickwork"),
        description="Generative-media workflows, served model by model.",
        docs_url=None,  # would load scripts from elsewhere
        redoc_url=None,
    )
    install(app)
    for api in (images_api, jobs_api, system_api):
        api.add_routes(app, service)
    app.add_middleware(Border, metrics=service.metrics, max_body_bytes=max_body_bytes, keys=Keys(tenants))
    return app
