import { mount } from "svelte";
import { client } from "../connect.js";
import Board from "./Board.svelte";

mount(Board, { target: document.querySelector("#app") });
client.start();
