// The map in a page of its own, opened from a disk: blobs and texts lie in the page.

const bytesOf = (id) => Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
const told = JSON.parse(document.getElementById("data").textContent);
const alone = new Map(["map", "colors"].map((id) => unpack(bytesOf(id))).map(({ id, read }) => [id, read()]));
const only = new View(document.body, "alone");
document.querySelector("h1").textContent = told.title;
document.querySelector(".made").textContent = told.made;
tellView(only, told);
showBlobs(only, told, alone);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => only.request());
