"""Where the contract is served: the OpenAPI document, Swagger UI, and what each problem type means."""

from django.urls import path

from schema import views

urlpatterns = [
    path("openapi.yaml", views.OpenApi.as_view(), name="openapi"),
    path("docs", views.Swagger.as_view(url_name="openapi"), name="docs"),
    path("problems/<slug:slug>", views.problem, name="problem"),
    path("robots.txt", views.robots, name="robots"),
    path("", views.front, name="front"),
]
