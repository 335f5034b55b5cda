// What unfold's frame needs of Alpine's CSP build, which evaluates no global functions: theme() is unfold's, in app.js.
document.addEventListener("alpine:init", () => {
	window.Alpine.data("theme", window.theme);
});
