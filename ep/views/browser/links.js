// Views that move, hover and brush together, of one dictionary or of two whose partners are known. Part of View.

const LINKS = (window.epLinks ??= new Map()); // by link name: the views that move and brush together

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

  // Linked views that know this view's regions: of the same dictionary, or of another one whose partners were given.
  siblings() {
    return this.linked().filter((view) => view.blob && (this.partners || this.sameFile(view)));
  },

  sameFile(view) {
    return view.blob.id.split(" ")[0] === this.blob.id.split(" ")[0];
  },

  // What a region of this view is called in a sibling, or null when it has no partner there.
  idIn(view, k) {
    if (k === null || this.sameFile(view)) return k;
    return this.partners[k] === NONE ? null : this.partners[k];
  },
});
