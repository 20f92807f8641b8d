import { mount } from "svelte";
import { client } from "./client.js";
import Parts from "./Parts.svelte";

mount(Parts, { target: document.querySelector("#app") });
client.start();
