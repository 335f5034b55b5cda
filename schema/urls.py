"""Where the contract is served: the OpenAPI document, Swagger UI, Redoc, and what each problem type means."""

from django.urls import path

from schema import pages, views

urlpatterns = [
    path("openapi.yaml", views.OpenApi.as_view(), name="openapi"),
    path("docs", pages.Swagger.as_view(url_name="openapi"), name="docs"),
    path("redoc", pages.Redoc.as_view(url_name="openapi"), name="redoc"),
    path("redoc.js", pages.redoc_script, name="redoc-script"),
    path("problems/<slug:slug>", views.problem, name="problem"),
    path("robots.txt", views.robots, name="robots"),
    path("", views.front, name="front"),
]
