"""The pages of the console; the namespace is what the admin's templates expect."""

from django.urls import path

from reports.console import customer, event, frame, home, keys, ledger, logins

app_name = "admin"

urlpatterns = [
    path("", home.home, name="index"),
    path("login/", logins.login, name="login"),
    path("logout/", logins.logout, name="logout"),
    path("password/", logins.change_password, name="password_change"),
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger/<str:number>/", event.event, name="ledger-event"),
    path("customer/", customer.usage, name="customer"),
    path("keys/", keys.keys, name="keys"),
    path("keys/<int:identity>/revoke/", keys.revoke, name="keys-revoke"),
    path("<path:path>", frame.nothing),
]
