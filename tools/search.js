// The order of what the site's search finds: stands behind Fuse, which smalldocs asks, and which still answers where no
// word is found as it is written. Tutorials come before chapters before the reference, hits of one page together.
(() => {
  const Fuzzy = window.Fuse, PER_PAGE = 4;
  const SHELVES = [  // the first that fits: a page's place, what being there is worth, and what a match in a heading is
    [/^api\//, 0, 2], [/^(CHANGELOG|CONTRIBUTING)/, 0, 1], [/^guide\//, 4, 12], [/^tutorials\//, 4, 10],
    [/^(index|findings\/)/, 3, 7], [/^\d/, 2, 9], [/^(runs|original|batch|readers)\//, 1.5, 6], [/./, 1, 4],
  ];
  const plain = (text) => text.toLowerCase().normalize("NFKC");
  const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const stem = (word) => word.replace(/(?<=\p{L}{4})(ing|ed|es|s|e)$/u, "");  // resume, resumed and resuming
  const begins = (words) => words.map((w) => new RegExp(`(?<![\\p{L}\\p{N}])${escaped(w)}`, "gu"));
  const count = (text, pattern) => (text.match(pattern) || []).length;

  window.Fuse = class {
    constructor(index, options) {
      this.index = index;
      this.fuzzy = new Fuzzy(index, options);
      this.pages = new Map();
      for (const item of index) {
        const name = item.href.split("#")[0], [, worth, heading] = SHELVES.find(([place]) => place.test(name));
        const texts = { title: plain(item.title), section: plain(item.section), text: plain(item.text) };
        if (!this.pages.has(name)) this.pages.set(name, []);
        this.pages.get(name).push({ item, worth, heading, ...texts });
      }
    }

    score(entry, words, phrase, some) {  // 0: not found
      const { title, section, text, worth, heading } = entry, all = `${title} ${section} ${text}`;
      const met = words.filter((w) => all.search(w) >= 0).length;
      if (!met || (!some && met < words.length)) return 0;
      const every = (x) => words.every((w) => x.search(w) >= 0);
      const often = Math.min(...words.map((w) => count(text, w)));
      return 1 + worth + 5 * met + (every(title) ? heading : 0) + (every(section || title) ? heading : 0) +
        (every(`${title} ${section}`) ? heading / 2 : 0) + (count(all, phrase) ? 3 : 0) + Math.min(often, 8) / 2;
    }

    search(query, { limit = 20 } = {}) {
      const asked = plain(query).split(/\s+/).filter(Boolean), words = begins(asked.map(stem)), [phrase] = begins([asked.join(" ")]);
      const found = (some) => [...this.pages.values()].map((entries) => {
        const hits = entries.map((e) => ({ item: e.item, score: this.score(e, words, phrase, some) }))
          .filter((hit) => hit.score).sort((a, b) => b.score - a.score).slice(0, PER_PAGE);
        return { hits, best: hits.length ? hits[0].score : 0 };
      }).filter((page) => page.best).sort((a, b) => b.best - a.best).flatMap((page) => page.hits);
      let hits = found(false);
      if (!hits.length) hits = this.fuzzy.search(query, { limit });
      if (!hits.length) hits = found(true);
      return hits.slice(0, limit);
    }
  };
})();
