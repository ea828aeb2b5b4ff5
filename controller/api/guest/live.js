// Keeps a guest's page fresh: figures every few seconds, the whole page when the session has gone on.
(() => {
  const page = document.querySelector("[data-session]");
  if (!page) return;
  const look = async () => {
    try {
      const answer = await fetch(page.dataset.session, { headers: { "Accept-Language": document.documentElement.lang } });
      if (answer.ok) {
        const told = await answer.json();
        if (told.stage !== page.dataset.stage) {
          location.reload();
          return;
        }
        for (const name of ["energy", "power", "cost"]) {
          const place = document.getElementById(name);
          if (place && place.textContent !== told[`${name}_text`]) place.textContent = told[`${name}_text`];
        }
      }
    } catch (error) {
      // Without a network the figures stay; the next look may get through.
    }
    setTimeout(look, 3000);
  };
  setTimeout(look, 1000);
})();
