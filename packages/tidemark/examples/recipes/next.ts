"use client";
import { collection, createDatabase } from "tidemark";

type Note = { id: string; text: string };
export const db = createDatabase({ name: "app", collections: { notes: collection<Note>()({ key: "id" }) } });
