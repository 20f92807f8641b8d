// What TypeScript cannot know of the pages (`make types`); no code, and served to nobody.

// A page finds its elements by their ids. Of which kind they are stands in its HTML.
interface EventTarget {
  closest: any;
  value: any;
}

interface Element {
  checked: any;
  close: any;
  dataset: any;
  disabled: any;
  focus: any;
  hidden: any;
  href: any;
  onchange: any;
  onclick: any;
  open: any;
  returnValue: any;
  showModal: any;
}

// Service workers: TypeScript has their types in a library that cannot be loaded beside the pages'.
declare const clients: any;
declare const registration: any;
declare function skipWaiting(): Promise<void>;

interface Event {
  data: any;
  notification: any;
  request: any;
  respondWith: any;
  waitUntil: any;
}
