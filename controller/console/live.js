// A region whose HTML is renewed in place: only what differs is touched, so that focus, selection and
// scroll positions stay with the reader. A press on anything with `data-act` goes back to the server.
// Elements with `data-key` are told apart by it, so that they keep the focus when others come and go.
const keyOf = (node) => (node.dataset ? node.dataset.key : undefined);

function renew(present, node) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (present.nodeValue !== node.nodeValue) present.nodeValue = node.nodeValue;
    return;
  }
  for (const { name } of [...present.attributes]) {
    if (!node.hasAttribute(name)) present.removeAttribute(name);
  }
  for (const { name, value } of [...node.attributes]) {
    if (present.getAttribute(name) !== value) present.setAttribute(name, value);
  }
  morph(present, node);
}

function morph(from, to) {
  const wanted = [...to.childNodes];
  const keys = new Set(wanted.map(keyOf));
  for (const old of [...from.childNodes]) {
    if (keyOf(old) !== undefined && !keys.has(keyOf(old))) old.remove();
  }
  let place = from.firstChild;
  for (const node of wanted) {
    const key = keyOf(node);
    const fits = place && keyOf(place) === key && place.nodeName === node.nodeName;
    if (fits) {
      const next = place.nextSibling;
      renew(place, node);
      place = next;
      continue;
    }
    const kept = key === undefined ? undefined : [...from.children].find((child) => keyOf(child) === key);
    if (kept) renew(kept, node);
    from.insertBefore(kept || node, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

export default {
  template: `<div @click="press"></div>`,
  props: { html: String },
  mounted() {
    this.show(this.html);
  },
  methods: {
    show(html) {
      const template = document.createElement("template");
      template.innerHTML = html || "";
      morph(this.$el, template.content);
    },
    press(event) {
      const target = event.target.closest("[data-act]");
      if (target && this.$el.contains(target)) this.$emit("act", { ...target.dataset });
    },
  },
};
