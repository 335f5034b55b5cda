// Draws the charts of a page: each canvas[data-chart] names the JSON that it shows. Drawn anew when the theme changes.
(() => {
	const drawn = [];

	function color(name) {
		return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	}

	function options(lying, dark) {
		const text = color(dark ? "--color-base-400" : "--color-base-600");
		const line = color(dark ? "--color-base-800" : "--color-base-200");
		const counts = { beginAtZero: true, border: { display: false }, grid: { color: line }, ticks: { color: text, precision: 0, maxTicksLimit: 6 } };
		const names = { border: { color: line }, grid: { display: false }, ticks: { color: text, autoSkip: !lying, maxRotation: 0 } };
		return {
			animation: false,
			indexAxis: lying ? "y" : "x",
			maintainAspectRatio: false,
			plugins: { legend: { display: false } },
			scales: lying ? { x: counts, y: names } : { x: names, y: counts },
		};
	}

	function draw(canvas) {
		const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
		const dark = document.documentElement.classList.contains("dark");
		const set = { label: "Numbers", data: data.values, backgroundColor: color(dark ? "--color-primary-500" : "--color-primary-600"), borderRadius: 3, maxBarThickness: 28 };
		return new Chart(canvas, {
			type: "bar",
			data: { labels: data.labels, datasets: [set] },
			options: options(data.kind === "rows", dark),
		});
	}

	function drawAll() {
		for (const chart of drawn.splice(0)) {
			chart.destroy();
		}
		for (const canvas of document.querySelectorAll("canvas[data-chart]")) {
			drawn.push(draw(canvas));
			canvas.dataset.drawn = "true";
		}
	}

	drawAll();
	new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["class"] });
})();
