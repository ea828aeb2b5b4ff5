// A region whose HTML is renewed in place: only what differs is touched, so that focus, selection and
// scroll positions stay with the reader. A press on anything with `data-act` goes back to the server.
function morph(from, to) {
  const old = [...from.childNodes];
  const wanted = [...to.childNodes];
  wanted.forEach((node, place) => {
    const present = old[place];
    if (!present) {
      from.appendChild(node);
    } else if (present.nodeType !== node.nodeType || present.nodeName !== node.nodeName) {
      from.replaceChild(node, present);
    } else if (node.nodeType !== Node.ELEMENT_NODE) {
      if (present.nodeValue !== node.nodeValue) present.nodeValue = node.nodeValue;
    } else {
      for (const { name } of [...present.attributes]) {
        if (!node.hasAttribute(name)) present.removeAttribute(name);
      }
      for (const { name, value } of [...node.attributes]) {
        if (present.getAttribute(name) !== value) present.setAttribute(name, value);
      }
      morph(present, node);
    }
  });
  old.slice(wanted.length).forEach((node) => node.remove());
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
