// Runs before the first paint, so that a chosen theme never flashes. A file, because inline scripts are forbidden here.
(function () {
  try {
    var theme = localStorage.getItem("costlens.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is forbidden: the system's theme holds.
  }
})();
