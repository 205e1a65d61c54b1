// The methods of View for linked views, which move, hover and brush together. They show one
// dictionary, or two whose regions are matched.

const LINKS = (window.epLinks ??= new Map()); // the linked views by the name of their link

Object.assign(View.prototype, {
  setLink(name) {
    if (this.link === name) return;
    this.unlink();
    this.link = name;
    if (!name) return;
    if (!LINKS.has(name)) LINKS.set(name, new Set());
    LINKS.get(name).add(this);
  },

  unlink() {
    LINKS.get(this.link)?.delete(this);
    if (LINKS.get(this.link)?.size === 0) LINKS.delete(this.link);
  },

  linked() {
    return [...(LINKS.get(this.link) ?? [])].filter((view) => view !== this);
  },

  // The linked views to which this view's regions can be translated: those of the same dictionary,
  // and those of another one if this view has the partners of its regions.
  siblings() {
    return this.linked().filter((view) => view.blob && (this.partners || this.sameFile(view)));
  },

  sameFile(view) {
    return view.blob.id.split(" ")[0] === this.blob.id.split(" ")[0];
  },

  // The id in a sibling of a region of this view, or null if it has no partner there.
  idIn(view, k) {
    if (k === null || this.sameFile(view)) return k;
    return this.partners[k] === NONE ? null : this.partners[k];
  },
});
