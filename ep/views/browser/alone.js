// Entry point of a saved map: the page itself contains the blobs and the texts.

const bytesOf = (id) => Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
const data = JSON.parse(document.getElementById("data").textContent);
const blobs = new Map(["map", "colors"].map((id) => unpack(bytesOf(id))).map(({ id, read }) => [id, read()]));
const only = new View(document.body, "alone");
document.querySelector("h1").textContent = data.title;
document.querySelector(".made").textContent = data.made;
updateView(only, data);
showBlobs(only, data, blobs);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => only.request());
